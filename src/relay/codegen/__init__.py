"""From loop programs to code: one package a code generator."""
