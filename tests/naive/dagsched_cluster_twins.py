"""Slow, obvious twins of what TDCA, CPOP, the MACRO variants and single ports are made of.

Graphs and times as in ``dagsched_twins``; ``times[v][q]`` where processors differ.
"""

from __future__ import annotations

import math

from tests.naive.dagsched_twins import (
    b_level,
    children,
    completion,
    critical_parent,
    parents,
    run_lists,
    t_level,
)


def critical_path(work, edges):
    """Tasks of the path that always goes on to the child of highest t-level + b-level."""
    n = len(work)
    priority = [t_level(work, edges, v) + b_level(work, edges, v) for v in range(n)]
    here = [v for v in range(n) if not parents(edges, v)]
    path = set()
    while here:
        v = min(here, key=lambda u: (-priority[u], u))
        path.add(v)
        here = children(edges, v)
    return path


def chains(times, edges, from_exits):
    """TDCA's first stage: {processor: tasks} of the chains."""
    p = len(times[0])
    lists = {}
    assigned = set()

    def ect(v, q):
        return completion(times, edges, v, q)

    def near(k, v, q):
        """Whether k on q brings its data as soon as from its best processor."""
        return k not in assigned and ect(k, q) <= min(ect(k, r) for r in range(p)) + edges[k, v]

    for v in from_exits:
        if v in assigned:
            continue
        if len(lists) == p:
            break
        q = min((r for r in range(p) if r not in lists), key=lambda r: (ect(v, r), r))
        lists[q] = set()
        while v is not None:
            assigned.add(v)
            lists[q].add(v)
            above = parents(edges, v)
            j = critical_parent(times, edges, v)
            close = [k for k in above if near(k, v, q)]
            if len(above) == 1:
                v = above[0]
            elif j in close:
                v = j
            else:
                v = min(close, key=lambda k: (ect(k, q), k), default=None)
    return lists, assigned


def arrival(copies, u, q, cost):
    """When the data of u are at q; ``copies``: {(task, processor): finish} of what has run."""
    return min(
        (finish + (0 if r == q else cost) for (w, r), finish in copies.items() if w == u), default=math.inf
    )


def leftovers(times, edges, order, lists, assigned, rule):
    """Every task in no chain gets a processor; ``rule`` "start", "rct" or "load"."""
    p = len(times[0])
    lists = {q: set(lists.get(q, ())) for q in range(p)}
    free = [0] * p
    copies = {}
    for v in order:
        above = parents(edges, v)
        begin = [max([free[q]] + [arrival(copies, u, q, edges[u, v]) for u in above]) for q in range(p)]
        if v in assigned:
            here = [q for q in range(p) if v in lists[q]]
        else:
            end = [at + time for at, time in zip(begin, times[v], strict=True)]
            key = {"start": begin, "rct": end, "load": free}[rule]
            here = [key.index(min(key))]
            lists[here[0]].add(v)
        # Copies of one task do not see each other.
        for q in here:
            free[q] = copies[v, q] = begin[q] + times[v][q]
    return lists


def insert_producers(times, edges, order, lists):
    """Copies of remote parents in the idle time before their consumers."""
    p = len(times[0])
    lists = {q: set(lists[q]) for q in range(p)}
    free = [0] * p
    copies = {}

    def ready(v, q):
        """(time the data are there, the parent that comes last; ties: the first)."""
        came = [(arrival(copies, u, q, edges[u, v]), -u) for u in parents(edges, v)]
        at, u = max(came, default=(0, None))
        return at, (None if u is None or at == 0 else -u)

    def run(v, q, begin):
        free[q] = copies[v, q] = begin + times[v][q]
        lists[q].add(v)

    for v in order:
        for q in range(p):
            if v not in lists[q] or (v, q) in copies:
                continue
            while True:
                at, last = ready(v, q)
                if last is None or at <= free[q] or (last, q) in copies:
                    break
                begin = max(free[q], ready(last, q)[0])
                if begin + times[last][q] >= at:
                    break
                run(last, q, begin)
            run(v, q, max(free[q], ready(v, q)[0]))
    return lists


def span(work, edges, order, lists):
    """Makespan of the lists ({processor: tasks}), each run in ``order``."""
    rows = [[v for v in order if v in lists[q]] for q in sorted(lists)]
    return max(at + work[v] for (v, _), at in run_lists(work, edges, rows).items())


def merge(work, edges, order, lists, givers):
    """Twin of ``merge_lists``: each of ``givers`` once, to the first other that is not empty."""
    for q in givers:
        for r in sorted(lists):
            if r == q or not lists[r] or not lists[q]:
                continue
            changed = {**lists, r: lists[r] | lists[q], q: set()}
            if span(work, edges, order, changed) <= span(work, edges, order, lists):
                lists = changed
    return lists


def blocks(work, edges, part, levels, order, p, earliest_first):
    """The MACRO frame: {part: (processor, turn)}; ``levels`` of the parts, ``order`` of the tasks."""
    parts = range(max(part) + 1)
    placed, finish = {}, {}
    free = [0] * p

    def data(v, q, inside):
        times = [0]
        for u in parents(edges, v):
            if part[u] == part[v]:
                times += [finish[u]] if inside else []
            else:
                times.append(finish[u] + (0 if placed[part[u]][0] == q else edges[u, v]))
        return max(times)

    def needs(k):
        return {part[u] for u, v in edges if part[v] == k} - {k}

    while len(placed) < len(parts):
        ready = [k for k in parts if k not in placed and needs(k) <= set(placed)]
        pairs = []
        for k in ready:
            for q in range(p):
                begin = max([free[q]] + [data(v, q, False) for v in order if part[v] == k])
                pairs.append((begin, -levels[k], k, q) if earliest_first else (-levels[k], k, begin, q))
        best = min(pairs)
        k, q = (best[2], best[3]) if earliest_first else (best[1], best[3])
        placed[k] = (q, len(placed))
        for v in order:
            if part[v] == k:
                free[q] = finish[v] = max(free[q], data(v, q, True)) + work[v]
    return placed


def run_lists_single(work, edges, lists):
    """Twin of the single-port ``simulate_lists``: {(task, processor): start} and the transfers as
    (source, target, from, to, begin); None when the lists block each other."""
    p = len(lists)
    send, receive, free, head = [0] * p, [0] * p, [0] * p, [0] * p
    start, ran, moves = {}, [], []

    def look(v, q):
        """(time all data of v are at q, transfers) over the ports as they are."""
        busy, port, at, made = list(send), receive[q], 0, []
        above = parents(edges, v)
        copies = {u: [c for c in ran if c[0] == u] for u in above}
        if any(not copies[u] for u in above):
            return None
        for u in sorted(above, key=lambda u: (min(start[c] for c in copies[u]) + work[u], u)):
            options = []
            for c in copies[u]:
                done = start[c] + work[u]
                if c[1] == q or edges[u, v] == 0:
                    options.append((done, ran.index(c), None, c))
                else:
                    begin = max(done, busy[c[1]], port)
                    options.append((begin + edges[u, v], ran.index(c), begin, c))
            there, _, begin, c = min(options, key=lambda option: option[:2])
            if begin is not None:
                made.append((u, v, c[1], q, begin))
                busy[c[1]] = port = there
            at = max(at, there)
        return at, made

    while True:
        found = []
        for q in range(p):
            if head[q] < len(lists[q]):
                seen = look(lists[q][head[q]], q)
                if seen is not None:
                    found.append((max(free[q], seen[0]), q, seen[1]))
        if not found:
            break
        begin, q, made = min(found, key=lambda option: option[:2])
        v = lists[q][head[q]]
        for u, _, r, _, at in made:
            send[r] = receive[q] = at + edges[u, v]
        moves += made
        start[v, q] = begin
        ran.append((v, q))
        free[q] = begin + work[v]
        head[q] += 1
    return (start, moves) if len(ran) == sum(map(len, lists)) else None
