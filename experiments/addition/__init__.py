"""Does depth help a model to learn addition, and does it matter which weights the layers share?"""
