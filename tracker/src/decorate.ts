/**
 * Puts the visitor's id into links that leave for a checkout or for another of the funnel's domains: when they appear,
 * and once more when they are used, because pages write links late.
 */

import { absolute, params } from "./query";
import { hit, listen, quiet } from "./quiet";
import { load } from "./tracker";

const LINKS = "a[*|href],area[href]"; // links of SVG too
const ALL = LINKS + ",iframe[data-sinal][src]";
const PAUSE_MS = 100;

/** An address that a program opens; the buyer is led to what this gives. */
export const decorated = (url: any, gateway?: string): any => (url && quiet(() => load(absolute(url), gateway, true))()) || url;

let waiting: unknown;

const carry = (element: Element, url: string, live: boolean | null) =>
  element.closest("[data-sinal-skip]") ? url : load(url, element.getAttribute("data-sinal-gateway"), live);

const decorate = (element: Element, live: boolean) => {
  const name = ["src", "href", "xlink:href"].find((one) => element.hasAttribute(one)) as string;
  const given = absolute(element.getAttribute(name));
  const url = carry(element, given, name === "src" ? null : live);
  if (url !== given) element.setAttribute(name, url);
};

/** Goes over all links again. */
export const decorateAll = quiet(() => {
  waiting = 0;
  document.querySelectorAll(ALL).forEach(quiet((element) => decorate(element, false)));
  observer.takeRecords(); // our own
});

const holds = (node: any) => node.matches && (node.matches(ALL) || node.querySelector(ALL));
const observer = new MutationObserver((records) => {
  if (!waiting && records.some(({ target, addedNodes, attributeName }) => (attributeName ? holds(target) : [...addedNodes].some(holds))))
    waiting = setTimeout(decorateAll, PAUSE_MS);
});

export function watchLinks(): void {
  observer.observe(document, { subtree: true, childList: true, attributeFilter: ["href", "src"] });
  listen("click auxclick contextmenu", (event) => {
    const link = hit(event, LINKS);
    if (link) decorate(link, true);
  });

  // A form that is being sent. `formdata` follows `submit`, and comes alone where a program sends the form.
  let button: HTMLElement | undefined;
  listen("submit formdata", ({ target: form, submitter, formData }) => {
    if (!formData) button = submitter;
    // Attributes, since a field called "action" or "method" hides the form's own property; those of a button go first.
    const from = (name: string) => (button && button.getAttribute("form" + name)) || form.getAttribute(name) || "";
    const action = absolute(from("action"));
    if (formData) {
      // A GET form drops its action's query, so what a link would carry goes in as fields.
      if (/post/i.test(from("method"))) return;
      const before = new URLSearchParams(formData);
      params(carry(form, action.replace(/[?#].*|$/, "?" + before), true)).forEach((value, name) => before.get(name) || formData.set(name, value));
      button = undefined;
    } else if (/post/i.test(from("method"))) {
      const url = carry(form, action, true);
      if (button && button.hasAttribute("formaction")) button.setAttribute("formaction", url);
      else if (url !== action) form.setAttribute("action", url);
    }
  });
  const { open } = window;
  window.open = (url, ...rest) => open(decorated(url), ...rest);
  decorateAll();
}
