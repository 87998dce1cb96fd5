"""Many pictures: a folder, a pattern or a list, on this machine or on many.

`sources` finds pictures and `lists` reads lists; `jobs` says what is wanted of each and where it goes; `making` makes
them one by one, and leaves what is done; `local` does so with several at a time, `fleet` on the machines of a Ray
cluster; `report` keeps what became of each.
"""
