// What the role of this browser's token allows. The service decides; the page only hides what it would refuse.

const RANKS = ["viewer", "submitter", "operator", "admin"];
const { user, role } = document.documentElement.dataset;

export const may = (needed) => RANKS.indexOf(role) >= RANKS.indexOf(needed);
export const mayChange = (task) => may("operator") || (may("submitter") && task.user === user);
