"""OpenAI's images API: edits, generations, variations and models, whole or streamed.

Start with `translate`, from its fields to a wish; ``replies`` shapes what comes back.
"""
