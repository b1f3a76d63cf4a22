"""Loop programs to LLVM: IR text, optimisation, objects, linking into this process."""
