"""What knows nothing of diffusion: files written whole, a cache, amounts like "3GB", the heap, this machine.

It imports the ground (`partway.errors`) only.
Start anywhere; each file stands alone.
"""
