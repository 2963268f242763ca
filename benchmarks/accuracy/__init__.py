"""How late one-off functions start that are all due in one second (coupled-scheduling paper, Figure 5)."""
