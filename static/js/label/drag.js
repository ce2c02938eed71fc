// Drags one element into one of several boxes, by mouse, pen or finger. Everything a drag does, keys and buttons do too.

const SLOP_PX = 5; // less than this is a click

export function dragInto(node, boxes, { onStart, onDrop }) {
  let from = null;
  const boxAt = ({ clientX, clientY }) => {
    const seen = document.elementsFromPoint(clientX, clientY);
    const under = seen.find((one) => one !== node && one.closest(boxes));
    return under?.closest(boxes) ?? null;
  };
  const hover = (box) => {
    for (const other of document.querySelectorAll(boxes)) other.toggleAttribute("data-over", other === box);
  };
  const end = () => {
    hover(null);
    node.classList.remove("dragging");
    node.style.removeProperty("translate");
    from = null;
  };

  node.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = { x: event.clientX, y: event.clientY, moving: false };
    node.setPointerCapture(event.pointerId); // a fast first move may already be outside
  });
  node.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
    if (!from.moving && Math.hypot(dx, dy) < SLOP_PX) return;
    if (!from.moving) {
      from.moving = true;
      node.classList.add("dragging");
      onStart();
    }
    node.style.setProperty("translate", `${dx}px ${dy}px`);
    hover(boxAt(event));
  });
  node.addEventListener("pointerup", (event) => {
    const box = from?.moving ? boxAt(event) : null;
    end();
    if (box) onDrop(box);
  });
  node.addEventListener("pointercancel", end);
}
