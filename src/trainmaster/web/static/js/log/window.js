// A stretch of a log in memory. It grows at either end by pages and is cut at the other, so that walking
// through a million lines keeps no more than a part of them.

import { get } from "../api.js";

const PAGE = 1000;
const MOST = 40000;
const FEW = 200; // a filter that matches little is searched on until there are so many lines
const TRIES = 40; // pages of one such search, each of bounded cost

export class LogWindow {
  constructor(task, filter) {
    this.path = `/tasks/${task}/logs`;
    this.filter = filter;
    this.lines = [];
    this.older = null; // cursor for the lines above, null at the beginning
    this.newer = null; // cursor for the lines below that are known to be there, null at the present end
    this.end = null; // cursor after which new lines will come
    this.complete = false;
    this.busy = false;
    this.cancel = new AbortController();
  }

  close() {
    this.cancel.abort();
  }

  ask(parameters) {
    return get(this.path, { limit: PAGE, ...this.filter, ...parameters }, { signal: this.cancel.signal });
  }

  async guarded(work) {
    if (this.busy) return 0;
    this.busy = true;
    try {
      return await work();
    } finally {
      this.busy = false;
    }
  }

  /** The newest lines. */
  tail() {
    return this.guarded(async () => {
      // Where the present end is must be known before reading backwards, or lines between would be missed.
      let page = await this.ask({});
      this.lines = page.lines;
      this.older = page.older;
      this.newer = null;
      this.complete = page.complete;
      this.end = page.lines.at(-1)?.cursor ?? (page.older === null ? 0 : page.older);
      for (let tries = 0; this.lines.length < FEW && this.older !== null && tries < TRIES; tries += 1) {
        page = await this.ask({ before: this.older });
        this.lines = page.lines.concat(this.lines);
        this.older = page.older;
      }
      return this.lines.length;
    });
  }

  /** The lines around a cursor. */
  around(cursor) {
    return this.guarded(async () => {
      const above = await this.ask({ before: cursor + 1, limit: FEW });
      const below = await this.ask({ after: cursor, limit: PAGE });
      this.lines = above.lines.concat(below.lines);
      this.older = above.older;
      this.newer = below.newer;
      this.complete = below.complete;
      this.end = this.lines.at(-1)?.cursor ?? cursor;
      return this.lines.length;
    });
  }

  /** From the very beginning. */
  head() {
    return this.guarded(async () => {
      const page = await this.ask({ after: 0 });
      this.lines = page.lines;
      this.older = null;
      this.newer = page.newer;
      this.complete = page.complete;
      this.end = page.lines.at(-1)?.cursor ?? page.newer ?? 0;
      return this.lines.length;
    });
  }

  /** Lines above. Answers how many came, and how many were let go below. */
  async up() {
    if (this.older === null) return 0;
    return this.guarded(async () => {
      let fresh = [];
      for (let tries = 0; fresh.length < FEW && this.older !== null && tries < TRIES; tries += 1) {
        const page = await this.ask({ before: this.older });
        fresh = page.lines.concat(fresh);
        this.older = page.older;
      }
      this.lines = fresh.concat(this.lines);
      if (this.lines.length > MOST) {
        this.lines.length = MOST;
        this.newer = this.end = this.lines.at(-1).cursor;
        this.complete = false;
      }
      return fresh.length;
    });
  }

  /** Lines below, be they known or new. Answers {added, dropped}: lines let go above. */
  async down() {
    const nothing = { added: 0, dropped: 0 };
    if (this.end === null || this.complete) return nothing;
    return (await this.guarded(async () => {
      const page = await this.ask({ after: this.newer ?? this.end });
      this.lines = this.lines.concat(page.lines);
      this.newer = page.newer;
      this.complete = page.complete;
      this.end = page.lines.at(-1)?.cursor ?? page.newer ?? this.end;
      const dropped = Math.max(this.lines.length - MOST, 0);
      if (dropped) {
        this.lines = this.lines.slice(dropped);
        this.older = this.lines[0].cursor;
      }
      return { added: page.lines.length, dropped };
    })) || nothing;
  }

  /** The cursor of the first line that matches, or null. */
  async find(text) {
    let after = 0;
    for (let tries = 0; tries < TRIES; tries += 1) {
      const page = await this.ask({ after, limit: 1, text, regex: true });
      if (page.lines.length) return page.lines[0].cursor;
      if (page.newer === null) return null;
      after = page.newer;
    }
    return null;
  }
}
