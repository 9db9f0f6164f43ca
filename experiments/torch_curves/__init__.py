"""Does minigrid learn at the same rate as the Torch7 program grid-lstm?"""
