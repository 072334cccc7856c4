/** Tracking events as the edge takes them, and as Meta's browser pixel names them. */

import { withoutParams } from "./query";
import { LINKER } from "./visit";

/** Our kinds and the pixel's words for them; a click is no event of Meta's. */
export const KINDS: Readonly<Record<string, string>> = {
  click: "",
  pageview: "PageView",
  view_content: "ViewContent",
  initiate_checkout: "InitiateCheckout",
  lead: "Lead",
};

const MAX_URL = 4096;

/** What a page may say of an event. */
export interface Data {
  value?: string | number;
  currency?: string;
  items?: Item[];
  content_ids?: (string | number)[];
  order_id?: string | number;
  event_id?: string;
}

export interface Item {
  id: string | number;
  quantity?: number;
  price?: string | number;
}

const CAMPAIGN = /^(utm_.*|[a-z]*clid|gbraid|wbraid|_sl)$/;

/** The kind of a page's word: ours, or the pixel's for the same. */
export function kindOf(word: string): string | undefined {
  return Object.keys(KINDS).find((kind) => kind === word || (word && KINDS[kind] === word));
}

export function itemsOf({ items, content_ids }: Data): Item[] | undefined {
  return items || content_ids?.map((id) => ({ id }));
}

/** Custom data of the browser pixel for the same event. */
export function pixelData(data: Data): object {
  const ids = itemsOf(data)?.map((item) => String(item.id));
  const all = { value: data.value, currency: data.currency, content_ids: ids, content_type: ids && "product" };
  return JSON.parse(JSON.stringify(all)); // without what is undefined: the pixel complains of it
}

/** A page's address as it is told: without our own link parameter and, after a no, without all that tells of an ad. */
export function told(url: string, denied: boolean): string {
  return withoutParams(url.replace(/#.*/, ""), (name) => name === LINKER || (denied && CAMPAIGN.test(name))).slice(0, MAX_URL);
}

/** What makes two addresses one page view: campaign parameters and plain anchors do not, `#/routes` and `#!` do. */
export function samePage(url: string): string {
  return withoutParams(url.replace(/#(?![/!]).*/, ""), (name) => CAMPAIGN.test(name));
}
