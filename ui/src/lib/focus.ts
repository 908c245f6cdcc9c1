/** Moves the focus to a page's heading when the page comes up, so that keyboard and screen reader begin there. */
export function focusOnArrival(heading: HTMLElement): void {
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}
