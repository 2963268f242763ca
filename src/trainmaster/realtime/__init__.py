"""Schedulability analysis: will a set of recurring tasks meet its deadlines on one worker, or on m?

Everything is exact: times are integer ticks, utilisations are fractions, no verdict hangs on a float.

Which variant applies to us: a call in a lane and a task that is not preemptible run to completion once begun,
so the *non-preemptive* tests apply, and they are the default. The preemptive ones hold for tasks that yield
at once.

`distributed-scheduling.txt` (section 3.4) prints U = Σ Cᵢ/(2Tᵢ) for RMS: that halves the utilisation, so a
set that needs up to twice a worker would pass; there is no such formula in the literature. Its DMS line, U =
Σ Cᵢ/Tᵢ, is the plain utilisation and has no deadline in it, which deadline-monotonic analysis is about.
Neither line is compared with a bound. Used here instead: Liu and Layland 1973, Bini and Buttazzo 2003,
Audsley et al. 1993, Davis et al. 2007, Zhang and Burns 2009, George et al. 1996, Goossens et al. 2003,
Bertogna and Cirinei 2007.
"""
