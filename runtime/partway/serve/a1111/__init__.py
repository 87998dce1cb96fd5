"""A1111's API, /sdapi/v1: txt2img, img2img, progress, and the lists that its clients ask for.

Start with `translate`, from its fields to a wish; ``replies`` shapes what comes back, ``lists`` says what there is.
"""
