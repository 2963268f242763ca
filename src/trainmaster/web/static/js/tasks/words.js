// A command line as its words, split as a shell would, but nothing expanded.

/** Throws an Error with a sentence if a quote is left open. */
export function words(line) {
  const found = [];
  let word = null;
  let quote = "";
  for (let at = 0; at < line.length; at += 1) {
    const sign = line[at];
    if (quote) {
      if (sign === quote) quote = "";
      else if (sign === "\\" && quote === '"' && '"\\$`'.includes(line[at + 1] ?? " ")) word += line[(at += 1)];
      else word += sign;
    } else if (sign === "'" || sign === '"') {
      quote = sign;
      word ??= "";
    } else if (sign === "\\" && at + 1 < line.length) word = (word ?? "") + line[(at += 1)];
    else if (/\s/.test(sign)) {
      if (word !== null) found.push(word);
      word = null;
    } else word = (word ?? "") + sign;
  }
  if (quote) throw new Error(`the quote ${quote} is not closed`);
  if (word !== null) found.push(word);
  return found;
}

/** Inverse of `words`, for showing a command that can be copied. */
export function joined(list) {
  return list.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}
