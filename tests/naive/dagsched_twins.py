"""Slow, obvious twins of the kernels of ``trainmaster.dagsched``, in plain Python on dictionaries.

A graph is (work, edges): a list of times and a dictionary {(u, v): cost}. Times are small whole numbers
in the tests, so that equal means equal.
"""

from __future__ import annotations

import itertools
import math


def parents(edges, v):
    return sorted(a for a, b in edges if b == v)


def children(edges, u):
    return sorted(b for a, b in edges if a == u)


def kahn(n, edges):
    """First in, first out; entries by number, children by number."""
    left = {v: len(parents(edges, v)) for v in range(n)}
    queue = [v for v in range(n) if left[v] == 0]
    done = []
    while queue:
        u = queue.pop(0)
        done.append(u)
        for v in children(edges, u):
            left[v] -= 1
            if left[v] == 0:
                queue.append(v)
    return done


def b_level(work, edges, u, communication=1):
    return work[u] + max(
        (communication * edges[u, v] + b_level(work, edges, v, communication) for v in children(edges, u)),
        default=0,
    )


def t_level(work, edges, v, communication=1):
    return max(
        (
            t_level(work, edges, u, communication) + work[u] + communication * edges[u, v]
            for u in parents(edges, v)
        ),
        default=0,
    )


def hop_level(edges, v):
    return max((hop_level(edges, u) + 1 for u in parents(edges, v)), default=0)


def priority_order(n, edges, priority):
    done = []
    while len(done) < n:
        ready = [v for v in range(n) if v not in done and all(u in done for u in parents(edges, v))]
        done.append(min(ready, key=lambda v: (-priority[v], v)))
    return done


def falling(work, edges, communication=1):
    """Tasks by falling b-level, ties by topological position."""
    topo = kahn(len(work), edges)
    return sorted(topo, key=lambda v: -b_level(work, edges, v, communication))


def free_slots(busy):
    """The idle stretches between the busy ones of a processor, and the open one at the end."""
    slots = []
    now = 0
    for start, finish in sorted(busy):
        if start > now:
            slots.append((now, start))
        now = max(now, finish)
    return [*slots, (now, math.inf)]


def earliest_slot(busy, ready, duration, insertion=True):
    slots = free_slots(busy) if insertion else free_slots(busy)[-1:]
    for begin, end in slots:
        start = max(begin, ready)
        if start + duration <= end:
            return start
    raise AssertionError("the last slot is open")


class Ports:
    """One transfer out and one in at a time."""

    def __init__(self, p):
        self.send = [0] * p
        self.receive = [0] * p

    def bring(self, wanted, q, commit):
        """When all of ``wanted`` = (finish, parent, home, cost) are at q."""
        send, receive = list(self.send), list(self.receive)
        ready = 0
        for finish, _, home, cost in sorted(wanted):
            if home == q or cost == 0:
                ready = max(ready, finish)
                continue
            begin = max(finish, send[home], receive[q])
            send[home] = receive[q] = begin + cost
            ready = max(ready, begin + cost)
        if commit:
            self.send, self.receive = send, receive
        return ready


def wanted_data(edges, v, processor, finish):
    return [(finish[u], u, processor[u], edges[u, v]) for u in parents(edges, v)]


def multi_ready(edges, v, q, processor, finish):
    return max(
        (f + (0 if home == q else c) for f, _, home, c in wanted_data(edges, v, processor, finish)), default=0
    )


def in_order(
    work,
    edges,
    order,
    p,
    insertion,
    finish_counts,
    times=None,
    bias=None,
    group=None,
    home=None,
    single=False,
):
    """Twin of ``schedule_in_order``."""
    times = times or [[w] * p for w in work]
    busy = [[] for _ in range(p)]
    processor, start, finish = {}, {}, {}
    home = dict(home or {})
    ports = Ports(p)
    for v in order:
        allowed = range(p)
        part = None if group is None else group[v]
        if part is not None and part in home:
            allowed = [home[part]]
        choices = []
        for q in allowed:
            if single:
                ready = ports.bring(wanted_data(edges, v, processor, finish), q, False)
            else:
                ready = multi_ready(edges, v, q, processor, finish)
            begin = earliest_slot(busy[q], ready, times[v][q], insertion)
            key = begin + (times[v][q] if finish_counts else 0) + (bias[v][q] if bias else 0)
            choices.append((key, q, begin))
        _, q, begin = min(choices)
        if single:
            ports.bring(wanted_data(edges, v, processor, finish), q, True)
        processor[v], start[v], finish[v] = q, begin, begin + times[v][q]
        if times[v][q] > 0:
            busy[q].append((begin, finish[v]))
        if part is not None:
            home[part] = q
    n = len(work)
    return [processor[v] for v in range(n)], [start[v] for v in range(n)], [finish[v] for v in range(n)]


def earliest_first(work, edges, priority, p):
    """Twin of ``earliest_task_first``: every ready pair is looked at."""
    processor, start, finish = {}, {}, {}
    free = [0] * p
    n = len(work)
    while len(processor) < n:
        choices = []
        for v in range(n):
            if v in processor or any(u not in processor for u in parents(edges, v)):
                continue
            sent = [(f + c, home) for f, _, home, c in wanted_data(edges, v, processor, finish)]
            enabler = None
            if sent:
                # The first parent, in order of number, whose data arrive last.
                latest = max(at for at, _ in sent)
                enabler = next(home for at, home in sent if at == latest)
            for q in range(p):
                begin = max(free[q], multi_ready(edges, v, q, processor, finish))
                choices.append((begin, -priority[v], v, q != enabler, free[q], q))
        begin, _, v, _, _, q = min(choices)
        processor[v], start[v], finish[v] = q, begin, begin + work[v]
        free[q] = finish[v]
    return [processor[v] for v in range(n)], [start[v] for v in range(n)], [finish[v] for v in range(n)]


def ready_scan(work, edges, priority, p, rule, group=None, busy=False, single=False):
    """Twin of ``schedule_ready`` on identical processors."""
    n = len(work)
    processor, start, finish = {}, {}, {}
    free = [0] * p
    home = {}
    left = {k: group.count(k) for k in set(group)} if group else {}
    ports = Ports(p)
    while len(processor) < n:
        ready = [v for v in range(n) if v not in processor and all(u in processor for u in parents(edges, v))]

        def pairs(waive, ready=ready):
            found = []
            for v in ready:
                for q in range(p):
                    if group is not None:
                        if group[v] in home:
                            if home[group[v]] != q:
                                continue
                        elif busy and not waive and any(home[k] == q and left[k] for k in home):
                            continue
                    if single:
                        at = ports.bring(wanted_data(edges, v, processor, finish), q, False)
                    else:
                        at = multi_ready(edges, v, q, processor, finish)
                    begin = max(free[q], at)
                    if rule == 0:
                        found.append((begin, -priority[v], v, q, begin))
                    elif rule == 1:
                        found.append((begin - priority[v], begin, -priority[v], v, q, begin))
                    else:
                        found.append((-priority[v], v, begin, q, begin))
            return found

        best = min(pairs(False) or pairs(True))
        begin = best[-1]
        v, q = {0: (2, 3), 1: (3, 4), 2: (1, 3)}[rule]
        v, q = best[v], best[q]
        if single:
            ports.bring(wanted_data(edges, v, processor, finish), q, True)
        processor[v], start[v], finish[v] = q, begin, begin + work[v]
        free[q] = finish[v]
        if group is not None:
            home[group[v]] = q
            left[group[v]] -= 1
    return [processor[v] for v in range(n)], [start[v] for v in range(n)], [finish[v] for v in range(n)]


def run_lists(work, edges, lists):
    """Twin of the multi-port ``simulate_lists``: iterate to the least fixed point from below.

    Returns {(task, processor): start}, or None when the lists block each other.
    """
    copies = [(v, q) for q, tasks in enumerate(lists) for v in tasks]
    limit = sum(work) * len(copies) + sum(edges.values()) * len(copies) + 1
    start = dict.fromkeys(copies, 0)
    while True:
        new = {}
        for q, tasks in enumerate(lists):
            free = 0
            for v in tasks:
                at = free
                for u in parents(edges, v):
                    at = max(
                        at,
                        min(
                            (
                                start[u, r] + work[u] + (0 if r == q else edges[u, v])
                                for w, r in copies
                                if w == u
                            ),
                            default=math.inf,
                        ),
                    )
                new[v, q] = at
                free = at + work[v]
        if any(at > limit for at in new.values()):
            return None
        if new == start:
            return start
        start = new


def superfluous(edges, copies):
    """Twin of ``superfluous_copies``; ``copies`` = [(task, processor, start, finish)]. Numbers that go."""
    gone = set()
    for k in sorted(range(len(copies)), key=lambda k: (-copies[k][2], k)):
        u = copies[k][0]
        others = [j for j in range(len(copies)) if copies[j][0] == u and j != k and j not in gone]
        if not others:
            continue
        consumers = [j for j in range(len(copies)) if (u, copies[j][0]) in edges and j not in gone]
        if all(
            any(
                copies[o][3] + (0 if copies[o][1] == copies[c][1] else edges[u, copies[c][0]]) <= copies[c][2]
                for o in others
            )
            for c in consumers
        ):
            gone.add(k)
    return gone


def late(edges, copies, first_only):
    """Twin of ``late_copies``."""
    gone = set()
    for k, (i, q, _, finish) in enumerate(copies):
        same = [j for j in range(len(copies)) if copies[j][0] == i]
        best = min(same, key=lambda j: (copies[j][3], j))
        if best == k:
            continue
        local = [c for c in copies if c[1] == q and (i, c[0]) in edges]
        local.sort(key=lambda c: (c[2], c[0]))
        if first_only:
            local = local[:1]
        if not local:
            if finish > copies[best][3]:
                gone.add(k)
        elif all(finish > copies[best][3] + edges[i, c[0]] for c in local):
            gone.add(k)
    return gone


def head(work, edges, v, memo=None):
    """Twin of ``join_aware_heads``: every subset of parents beside v is tried."""
    memo = {} if memo is None else memo
    if v in memo:
        return memo[v]
    above = parents(edges, v)
    best = math.inf if above else 0
    for size in range(len(above) + 1):
        for beside in itertools.combinations(above, size):
            remote = max(
                (head(work, edges, u, memo) + work[u] + edges[u, v] for u in above if u not in beside),
                default=0,
            )
            now = 0
            for u in sorted(beside, key=lambda u: head(work, edges, u, memo)):
                now = max(now, head(work, edges, u, memo)) + work[u]
            best = min(best, max(remote, now))
    memo[v] = best
    return best


def combined(heads, tails, work, p):
    """Twin of ``combined_bound`` with every head as a threshold."""
    best = 0
    for a in heads:
        for b in tails:
            inside = [v for v in range(len(work)) if heads[v] >= a and tails[v] >= b]
            if inside:
                best = max(best, min(heads[v] for v in inside) + sum(work[v] for v in inside) / p + b)
    return best


def optimistic(times, edges, v, q):
    """Twin of ``optimistic_costs``."""
    p = len(times[0])
    return max(
        (
            min(
                optimistic(times, edges, s, w) + times[s][w] + (0 if w == q else edges[v, s])
                for w in range(p)
            )
            for s in children(edges, v)
        ),
        default=0,
    )


def completion(times, edges, v, q):
    """Twin of ``earliest_completions``: formula 1 and 2 with free processors."""
    p = len(times[0])
    return times[v][q] + max(
        (
            min(completion(times, edges, u, r) + (0 if r == q else edges[u, v]) for r in range(p))
            for u in parents(edges, v)
        ),
        default=0,
    )


def critical_parent(times, edges, v):
    """Twin of ``critical_parents``."""
    p = len(times[0])

    def favourite(u):
        return min(range(p), key=lambda q: completion(times, edges, u, q))

    best = None
    for u in parents(edges, v):
        at = completion(times, edges, u, favourite(u)) + (0 if favourite(u) == favourite(v) else edges[u, v])
        if best is None or (at, edges[u, v]) > best[:2]:
            best = (at, edges[u, v], u)
    return -1 if best is None else best[2]


class Copying:
    """Twin of ``duplicate_in_order`` with every processor a candidate."""

    def __init__(self, work, edges, p, depth, most):
        self.work, self.edges, self.p, self.depth, self.most = work, edges, p, depth, most
        self.copies = []

    def busy(self, q, extra):
        return [(s, f) for _, r, s, f in self.copies if r == q and f > s] + [
            (s, f) for _, s, f in extra if f > s
        ]

    def critical(self, v, q, extra):
        """(ready, last parent or None, whether it is remote)."""
        ready, last = 0, None
        for u in parents(self.edges, v):
            at = min(f + (0 if r == q else self.edges[u, v]) for w, r, _, f in self.copies if w == u)
            at = min([at] + [f for w, _, f in extra if w == u])
            if at > ready:
                ready, last = at, u
        remote = last is not None and not any(w == last and r == q for w, r, _, _ in self.copies)
        remote = remote and not any(w == last for w, _, _ in extra)
        return ready, last, remote

    def slot(self, q, ready, duration, extra):
        return earliest_slot(self.busy(q, extra), ready, duration)

    def attempt(self, v, q):
        extra = []
        ready, last, remote = self.critical(v, q, extra)
        begin = self.slot(q, ready, self.work[v], extra)
        while remote and len(extra) < self.most:
            if self.slot(q, 0, self.work[v], extra) >= begin:
                break
            chain = []
            u = last
            while len(chain) < self.depth and len(extra) + len(chain) < self.most:
                chain.append(u)
                _, u, away = self.critical(u, q, extra)
                if u is None or not away:
                    break
            for used in range(1, len(chain) + 1):
                trial = list(extra)
                for u in reversed(chain[:used]):
                    at, _, _ = self.critical(u, q, trial)
                    s = self.slot(q, at, self.work[u], trial)
                    trial.append((u, s, s + self.work[u]))
                ready2, last2, remote2 = self.critical(v, q, trial)
                begin2 = self.slot(q, ready2, self.work[v], trial)
                if begin2 < begin:
                    extra, begin, last, remote = trial, begin2, last2, remote2
                    break
            else:
                break
        return begin + self.work[v], len(extra), q, begin, extra

    def run(self, order):
        for v in order:
            finish, _, q, begin, extra = min(self.attempt(v, q) for q in range(self.p))
            self.copies += [(u, q, s, f) for u, s, f in extra]
            self.copies.append((v, q, begin, finish))
        return self.copies


def cut(edges, part):
    return sum(c for (u, v), c in edges.items() if part[u] != part[v])


def quotient(work, edges, part):
    weights = {k: sum(w for v, w in enumerate(work) if part[v] == k) for k in set(part)}
    costs = {}
    for (u, v), c in edges.items():
        if part[u] != part[v]:
            costs[part[u], part[v]] = max(c, costs.get((part[u], part[v]), 0))
    return weights, costs
