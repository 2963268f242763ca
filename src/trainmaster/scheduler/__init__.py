"""The engine of decisions. No input, no output, no clock: `step(state, events, now)` is all there is."""
