// Reasons name tasks by id; a person wants a link, and the name where it is known.

import { h } from "../dom.js";

const ID = /(t-[0-9a-hjkmnp-tv-z]{10})/;

/** The text as children for `h`, every task id in it a link. */
export function linked(text, names = new Map()) {
  return text.split(ID).map((part, at) => (at % 2 ? h("a", { href: `/tasks/${part}`, title: part }, names.get(part) ?? part) : part));
}
