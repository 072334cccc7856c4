/** `data-sinal="initiate_checkout"` on a button, link or form: using it is that event. */

import type { Data } from "./events";
import { hit, listen } from "./quiet";
import { track } from "./tracker";

const REPEAT_MS = 1_000; // a double click is one intention

export function watchMarks(): void {
  let last: HTMLElement | undefined;
  let at = 0;
  listen("click auxclick submit", (event) => {
    const target = hit(event, "[data-sinal]");
    if (!target || (target.tagName === "FORM") !== (event.type === "submit")) return;
    if (target === last && event.timeStamp - at < REPEAT_MS) return;
    last = target;
    at = event.timeStamp;
    track(target.dataset.sinal as string, dataOf(target.dataset));
  });
}

/** `data-sinal-value`, `-currency`, and `-items` (ids, by commas). */
function dataOf({ sinalValue, sinalCurrency, sinalItems }: DOMStringMap): Data {
  return { value: sinalValue, currency: sinalCurrency, content_ids: sinalItems && sinalItems.match(/[^\s,]+/g) };
}
