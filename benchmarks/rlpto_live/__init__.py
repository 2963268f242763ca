"""The RLPTO paper's twelve tasks with real gradients: in virtual time, simulated, and on the wall clock."""
