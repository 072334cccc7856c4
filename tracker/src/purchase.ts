/**
 * The event id that the hub gives a sale's Purchase, for a thank-you page's own pixel: equal ids let Meta see one
 * purchase where browser and server tell of it. The rule is `meta_event_id` in `runtime/sinal_runtime/events.py`.
 */

import type { Data } from "./events";

/** Two decimals, half up, as text: floats would round 1.005 down. null for what is no amount. */
export function twoDecimals(value: string): string | null {
  const [, whole, part = ""] = /^0*(\d{1,12})\.?(\d*)$/.exec(value) ?? [];
  if (!whole) return null;
  const cents = Number(whole + (part + "00").slice(0, 2)) + (part[2]! >= "5" ? 1 : 0);
  return `${cents}`.padStart(3, "0").replace(/..$/, ".$&");
}

/** SHA-256 of tenant|order|Purchase|value|currency in hex; rejects without a secure context or for bad input. */
export async function purchaseId(tenant: string, { order_id, value, currency = "" }: Data): Promise<string> {
  const amount = value === undefined ? "" : twoDecimals(`${value}`);
  if (amount === null || !order_id) throw "sinal: purchaseId needs order_id, value as 297.00";
  const text = `${tenant}|${order_id}|Purchase|${amount}|${currency.toUpperCase()}`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
