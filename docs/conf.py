"""How the documentation becomes a site: Sphinx, MyST, furo. `scripts/docs` builds it, without a network.

The pages are plain Markdown that can be read on a code host as well: links are relative paths of files.
"""

project = "AMI"
author = "The AMI developers"
language = "en"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = True

# Headings have the anchors that code hosts give them, so `page.md#a-heading` leads to the same place in both.
myst_heading_anchors = 4
# Blocks without a language are terminals and drawings.
highlight_language = "none"

html_theme = "furo"
html_title = "AMI"
html_favicon = "../ami/dashboard/static/dashboard/icon.svg"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_last_updated_fmt = None
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2c6e49", "color-brand-content": "#2c6e49"},
    "dark_css_variables": {"color-brand-primary": "#8fcfa5", "color-brand-content": "#8fcfa5"},
}
