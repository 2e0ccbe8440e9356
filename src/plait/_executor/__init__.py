"""The executor: the cache of calls, and the modules that build and run the callable of a call that is not in it.

The *callable* of a call is a function of the tensors alone, built for one pattern and for the types and shapes of the
tensors and the sizes of the call.
"""
