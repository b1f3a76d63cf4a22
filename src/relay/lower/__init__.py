"""Fused graph functions to kernels, and a whole graph to a program of kernel calls."""

from relay.lower.compile import CompileOptions, Lowered, lower, optimise
from relay.lower.kernel import Kernel
from relay.lower.program import Program, Step, Value

__all__ = ["CompileOptions", "Kernel", "Lowered", "Program", "Step", "Value", "lower", "optimise"]
