// The loaded part of a long listing: a chain of pages, each beginning at the cursor where the one above ends.
//
// Pages are asked for again one by one. If a page then ends elsewhere (tasks came or left), the next one is
// re-anchored to that end and marked stale, so no row is ever lost between two pages, and a row that is in
// both is shown once.

export class Pages {
  /** `load(before)` answers `{tasks, next, counts}`. */
  constructor(load) {
    this.load = load;
    this.pages = [];
    this.rows = [];
    this.counts = {};
    this.busy = false;
  }

  get more() {
    return this.pages.length > 0 && this.pages.at(-1).next !== null;
  }

  async start() {
    const page = await this.load(undefined);
    this.pages = [{ before: undefined, ...page, stale: false }];
    this.flatten();
  }

  /** Load the next page. Does nothing while another is on its way. */
  async extend() {
    if (this.busy || !this.more) return false;
    this.busy = true;
    try {
      const before = this.pages.at(-1).next;
      const page = await this.load(before);
      if (this.pages.at(-1)?.next !== before) return false;
      this.pages.push({ before, ...page, stale: false });
      this.flatten();
      return true;
    } finally {
      this.busy = false;
    }
  }

  async refresh(at) {
    const old = this.pages[at];
    if (!old) return;
    const page = await this.load(old.before);
    if (this.pages[at] !== old) return;
    this.pages[at] = { before: old.before, ...page, stale: false };
    const next = this.pages[at + 1];
    if (next && page.next === null) this.pages.length = at + 1;
    else if (next && next.before !== page.next) this.pages[at + 1] = { ...next, before: page.next, stale: true };
    this.flatten();
  }

  flatten() {
    const seen = new Set();
    this.rows = [];
    this.pages.forEach((page, at) => {
      this.counts = at === 0 ? page.counts : this.counts;
      for (const task of page.tasks) {
        if (seen.has(task.id)) continue;
        seen.add(task.id);
        this.rows.push({ task, page: at });
      }
    });
  }

  /** Something happened to these tasks: their pages are asked for again when they are next in sight. */
  doubt(ids) {
    for (const { task, page } of this.rows) if (ids.has(task.id)) this.pages[page].stale = true;
  }

  /** The pages that hold the rows `first` to `last`. */
  covering(first, last) {
    const low = this.rows[Math.max(first, 0)]?.page ?? 0;
    const high = this.rows[Math.min(last, this.rows.length - 1)]?.page ?? 0;
    return Array.from({ length: high - low + 1 }, (_, at) => low + at);
  }
}
