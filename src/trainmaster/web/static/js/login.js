// The login form: exchanges a token for the cookie.

const form = document.getElementById("login");
const trouble = document.getElementById("trouble");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  trouble.textContent = "";
  const token = new FormData(form).get("token").trim();
  try {
    const response = await fetch("/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token }),
    });
    if (response.ok) {
      location.replace(location.pathname + location.search.replace(/([?&])t=[^&]*&?/, "$1").replace(/[?&]$/, ""));
      return;
    }
    const told = await response.json();
    trouble.textContent = `${told.detail}: ${told.remedy}`;
  } catch {
    trouble.textContent = "the service cannot be reached: is it still running?";
  }
  form.elements.token.select();
});
