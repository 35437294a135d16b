// A table that is wider than the page scrolls, so the keyboard must reach it. The theme wraps tables after it has loaded.
function letKeysScroll() {
  document.querySelectorAll(".md-typeset__scrollwrap").forEach((box) => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0
  })
}
addEventListener("load", () => setTimeout(letKeysScroll))
addEventListener("resize", letKeysScroll)
