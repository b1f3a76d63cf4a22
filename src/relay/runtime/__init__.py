"""What runs compiled programs: arrays, devices, memory, threads, executables. No compiler."""
