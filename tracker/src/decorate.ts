/**
 * Puts the visitor's id into links that leave for a checkout or for another of the funnel's domains: when they appear,
 * and once more when they are used, because pages write links late.
 */

import { absolute, params, withParam } from "./query";
import { hit, listen, quiet } from "./quiet";

const LINKS = "a[href]";
const FRAMES = "iframe[data-sinal][src]";
const PAUSE_MS = 100;

/** Gives a link what it is to carry, or the same text again. `live`: it is being used now. */
export type Loader = (url: string, named: string | undefined, live: boolean) => string;

/** Returns what goes over all links again. */
export function watchLinks(load: Loader): () => void {
  const carry = (element: HTMLElement, url: string, live: boolean) =>
    /^https?:/.test(url) && !element.closest("[data-sinal-skip]") ? load(url, element.dataset.sinalGateway, live) : url;

  const decorate = (element: HTMLAnchorElement & HTMLIFrameElement, live: boolean) => {
    const name = element.src ? "src" : "href";
    const url = carry(element, element[name], live);
    if (url !== element[name]) element[name] = url;
  };
  const all = quiet(() => {
    const found = document.querySelectorAll<HTMLAnchorElement & HTMLIFrameElement>(LINKS + "," + FRAMES);
    found.forEach(quiet((element) => decorate(element, false)));
  });
  let waiting = false;
  new MutationObserver(() => {
    if (!waiting) setTimeout(() => ((waiting = false), all()), PAUSE_MS);
    waiting = true;
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["href", "src"] });

  listen("click auxclick contextmenu", (event) => {
    const link = hit<HTMLAnchorElement & HTMLIFrameElement>(event, LINKS);
    if (link) decorate(link, true);
  });
  listen("submit", (event) => fill(event.target as HTMLFormElement, carry));
  watchOpen(load);
  all();
  return all;
}

/** A form that is being sent: a GET form drops its action's query, so what a link would carry goes in as fields. */
function fill(form: HTMLFormElement, carry: (element: HTMLElement, url: string, live: boolean) => string): void {
  form.querySelectorAll("[data-sinal-own]").forEach((field) => field.remove());
  // Attributes, since a field called "action" or "method" hides the form's own property.
  const action = absolute(form.getAttribute("action"));
  if (/post/i.test(form.getAttribute("method") || "")) {
    const url = carry(form, action, true);
    if (url !== action) form.setAttribute("action", url);
    return;
  }
  const fields = [...form.elements] as HTMLInputElement[];
  const before = fields.reduce((url, { name, value }) => (name ? withParam(url, name, value) : url), action.replace(/[?#].*/, ""));
  const present = params(before);
  params(carry(form, before, true)).forEach((value, name) => {
    if (present.has(name)) return;
    const field = form.appendChild(document.createElement("input"));
    Object.assign(field, { type: "hidden", name, value });
    field.dataset.sinalOwn = "";
  });
}

function watchOpen(load: Loader): void {
  const original = window.open;
  window.open = function (this: Window, url?: string | URL, ...rest: [string?, string?]) {
    const loaded = quiet(() => url && load(absolute(url), "", true))();
    return original.call(this, loaded || url, ...rest);
  };
}
