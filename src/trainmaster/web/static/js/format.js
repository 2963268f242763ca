// Numbers, amounts and times for people.

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 59.5) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86400)} d ${Math.floor((whole % 86400) / 3600)} h`;
}

const pad = (number) => String(number).padStart(2, "0");

export function bytes(amount) {
  if (amount === null || amount === undefined) return "–";
  let size = amount;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (size < 1000) return `${short(size)} ${unit}`;
    size /= 1000;
  }
  return `${short(size)} TB`;
}

export function short(number) {
  if (!Number.isFinite(number)) return "–";
  if (number !== 0 && (Math.abs(number) < 0.001 || Math.abs(number) >= 1e6)) return number.toExponential(2);
  return String(Number(number.toPrecision(3)));
}

/** A metric with steady width: three decimals below ten. */
export function metric(value) {
  if (!Number.isFinite(value)) return "–";
  return Math.abs(value) < 10 && !Number.isInteger(value) ? value.toFixed(3) : short(value);
}

export const percent = (share) => `${Math.round(share * 100)} %`;

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

export function cores(number) {
  return `${Number(number.toFixed(2))} core${number === 1 ? "" : "s"}`;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const WHOLE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

export function clock(time) {
  return CLOCK.format(new Date(time * 1000));
}

export function absolute(time) {
  return WHOLE.format(new Date(time * 1000));
}

const SHORT_CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const SHORT_DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** Labels of a time axis whose marks are `step` seconds apart: the day at midnight, else the clock. */
export function ticks(times, step) {
  return times.map((time) => {
    const at = new Date(time * 1000);
    const midnight = at.getHours() + at.getMinutes() + at.getSeconds() === 0;
    return (step >= 86400 || midnight ? SHORT_DAY : step < 60 ? CLOCK : SHORT_CLOCK).format(at);
  });
}

/** The clock today, the day and the clock before. */
export function moment(time, now) {
  const at = new Date(time * 1000);
  const today = new Date(now * 1000);
  return at.toDateString() === today.toDateString() ? CLOCK.format(at) : `${DAY.format(at)} ${CLOCK.format(at)}`;
}

export function ago(time, now) {
  const seconds = Math.max(now - time, 0);
  if (seconds < 5) return "just now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}
