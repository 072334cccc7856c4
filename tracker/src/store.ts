/** JSON in local storage that may be absent, full, forbidden or broken: then it holds nothing, and nobody hears of it. */

export interface Box {
  read<T>(name: string): T | null;
  /** Undefined is deleted; returns whether storage holds now what was asked for. */
  write(name: string, value: unknown): boolean;
}

export const box: Box = {
  read: (name) => {
    try {
      return JSON.parse(localStorage.getItem(name) as string);
    } catch {
      return null;
    }
  },
  write: (name, value) => {
    try {
      if (value === undefined) localStorage.removeItem(name);
      else localStorage.setItem(name, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  },
};
