"""The scheduler in virtual time: the same `scheduler.step` and the same policies over modelled nodes."""
