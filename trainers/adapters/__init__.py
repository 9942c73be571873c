"""Other people's models, each in a Python environment of its own, behind our frames.

Why environments: mace-torch pins e3nn 0.4, nequip wants 0.6, and so do we. Such a program is a
process of the interpreter that the user names; frames go in and predictions come out as files.
"""
