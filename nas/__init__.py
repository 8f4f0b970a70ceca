"""Task sketch and budget -> `Blueprint`, or `NoFit`: the zero-shot search for a small adaptor.

The room opens with the version that grows adaptors on the device; nothing is here before.
"""
