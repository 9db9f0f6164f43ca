"""Does minigrid train as the Torch7 program grid-lstm does?"""
