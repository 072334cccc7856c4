/**
 * Puts the visitor's id into links that leave for a checkout or for another of the funnel's domains: when they appear,
 * and once more when they are used, because pages write links late.
 */

import { absolute, params } from "./query";
import { hit, listen, quiet } from "./quiet";

const LINKS = "a[*|href],area[href]"; // links of SVG too
const ALL = LINKS + ",iframe[data-sinal][src]";
const PAUSE_MS = 100;

/** Gives a link what it is to carry, or the same text again. `live`: it is being used now. */
export type Loader = (url: string, named: string | null, live: boolean) => string;

/** Returns what goes over all links again. */
export function watchLinks(load: Loader): () => void {
  const frames = new WeakMap<Element, string>(); // what we wrote: a frame that is loaded anew loses what the buyer typed
  let waiting: unknown;

  const carry = (element: Element, url: string, live: boolean) =>
    /^http/.test(url) && !element.closest("[data-sinal-skip]") ? load(url, element.getAttribute("data-sinal-gateway"), live) : url;

  const decorate = (element: Element, live: boolean) => {
    const name = ["src", "href", "xlink:href"].find((one) => element.hasAttribute(one)) as string;
    const given = absolute(element.getAttribute(name));
    const url = frames.get(element) === given ? given : carry(element, given, live);
    if (url === given) return;
    if (name === "src") frames.set(element, url);
    element.setAttribute(name, url);
  };
  const all = quiet(() => {
    waiting = 0;
    document.querySelectorAll(ALL).forEach(quiet((element) => decorate(element, false)));
    observer.takeRecords(); // our own
  });
  const holds = (node: Node) => node instanceof Element && (node.matches(ALL) || node.querySelector(ALL));
  const observer = new MutationObserver((records) => {
    if (!waiting && records.some(({ target, addedNodes, attributeName }) => (attributeName ? holds(target) : [...addedNodes].some(holds))))
      waiting = setTimeout(all, PAUSE_MS);
  });
  observer.observe(document, { subtree: true, childList: true, attributeFilter: ["href", "src"] });

  listen("click auxclick contextmenu", (event) => {
    const link = hit(event, LINKS);
    if (link) decorate(link, true);
  });

  /** A form that is being sent: a GET form drops its action's query, so what a link would carry goes in as fields. */
  const fill = quiet((form: HTMLFormElement, button?: HTMLElement | null) => {
    // Attributes, since a field called "action" or "method" hides the form's own property; those of a button go first.
    const from = (name: string) => (button && button.getAttribute("form" + name)) || form.getAttribute(name) || "";
    const action = absolute(from("action"));
    if (/post/i.test(from("method"))) {
      const url = carry(form, action, true);
      if (url === action) return;
      if (button && button.hasAttribute("formaction")) button.setAttribute("formaction", url);
      else form.setAttribute("action", url);
      return;
    }
    // What the browser will not send is not there.
    const sent = ([...form.elements] as HTMLInputElement[]).filter(
      (field) => field.name && !field.matches(":disabled") && (field.checked || !/radio|check|submit|button|reset|image|fieldset/.test(field.type)),
    );
    const before = new URLSearchParams();
    sent.forEach(({ name, value }) => before.append(name, value));
    params(carry(form, action.replace(/[?#].*|$/, "?" + before), true)).forEach((value, name) => {
      if (before.get(name)) return;
      const empty = sent.find((field) => field.name === name);
      const field = empty || form.appendChild(document.createElement("input"));
      Object.assign(field, empty ? { value } : { type: "hidden", name, value });
      // It has been sent: the next time another id may be due, or none.
      setTimeout(() => (empty ? (field.value = "") : field.remove()));
    });
  });
  listen("submit", ({ target, submitter }) => fill(target, submitter));
  const { open } = window;
  window.open = function (this: Window, url?: string | URL, ...rest: [string?, string?]) {
    return open.call(this, (url && quiet(() => load(absolute(url), null, true))()) || url, ...rest);
  };
  all();
  return all;
}
