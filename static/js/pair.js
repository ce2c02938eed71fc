// Keeps a slider and the number field it stands for (data-pair="#id") at one value.

for (const slider of document.querySelectorAll("input[type=range][data-pair]")) {
  const field = document.querySelector(slider.dataset.pair);
  slider.addEventListener("input", () => {
    field.value = Number(slider.value).toFixed(2);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  field.addEventListener("input", () => {
    slider.value = field.value;
  });
}
