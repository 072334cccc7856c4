/** Tracking events as the edge takes them, and as Meta's browser pixel names them. */

import { withoutParams } from "./query";
import { LINKER } from "./visit";

/** Our kinds and the pixel's words for them; of the first two Meta has no event. */
export const KINDS: Readonly<Record<string, string>> = {
  click: "",
  identify: "",
  pageview: "PageView",
  view_content: "ViewContent",
  initiate_checkout: "InitiateCheckout",
  lead: "Lead",
};

const MAX_URL = 4096;

/** What a page may say of an event; what of it can be understood, the edge knows. `contents` is Meta's word for items. */
export type Data = { [field in "value" | "currency" | "items" | "contents" | "content_ids" | "order_id" | "event_id"]?: any };

// Parameters that name a campaign. What else a query holds may tell of a person, or be another page.
const CAMPAIGN = /^(utm_.*|\w*clid|[gw]braid|gad_\w+|_sl|_g[al]|src|sck|xcod|s[123]|ad\w*_(id|name)|placement)$/;
/** Parameters that the page's author adds to them. */
export const added: string[] = [];

const isCampaign = (name: string): boolean => CAMPAIGN.test(name) || added.includes(name);

/** The kind of a page's word: ours, or the pixel's for the same. */
export const kindOf = (said: unknown): string | undefined => Object.keys(KINDS).find((kind) => kind === said || (said && KINDS[kind] === said));

const itemOf = (given: any): object =>
  given && given.id ? { id: given.id, quantity: given.quantity, price: given.price || given.item_price } : { id: given };

/** An event's own fields; the noise of 19.9 * 3 and amounts as text are the edge's to read. */
export const fieldsOf = ({ value, currency, items, contents, content_ids, order_id }: Data): Data => {
  const given = items || contents || content_ids;
  return {
    value,
    currency,
    items: given && [].concat(given).map(itemOf),
    order_id,
  };
};

/** A page's address without plain anchors, which are the same page; `#/routes` and `#!` are not, and stay. */
const cleared = (url: string, unwanted: (name: string) => unknown): string => withoutParams(url.replace(/#(?![/!]).*/, ""), unwanted);

/** A page's address as it is told: without our own link parameter and, after a no, without all that tells of an ad. */
export const told = (url: string, denied: boolean): string => cleared(url, (name) => name === LINKER || (denied && isCampaign(name))).slice(0, MAX_URL);

/** What makes two addresses one page view: campaign parameters do not. */
export const samePage = (url: string): string => cleared(url, isCampaign);

/** An address as it may wait in clear: of its query the campaign alone. */
export const bare = (url: string): string => cleared(url.replace(/(#[^?]*).*/, "$1"), (name) => !isCampaign(name));
