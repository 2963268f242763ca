// Loaded before the first paint and therefore not a module: a chosen theme must not flash.
try {
  const chosen = localStorage.getItem("trainmaster.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; the system's preference then decides.
}
