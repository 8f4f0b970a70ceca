"""Bytes <-> frames <-> readings and commands, and knowledge -> C for microcontrollers.

The room opens with the version that speaks to firmware; nothing is here before.
"""
