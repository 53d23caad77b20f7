"""Look at grids and scenes: contact sheets, a live browser viewer, one-file pages and movies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fourreal.core.lazy_names import install_lazy_names

if TYPE_CHECKING:
    from fourreal.view.contact_sheet import contact_sheet as contact_sheet
    from fourreal.view.contact_sheet import write_contact_sheet as write_contact_sheet
    from fourreal.view.movie import plan_movie as plan_movie
    from fourreal.view.movie import write_grid_movie as write_grid_movie
    from fourreal.view.movie import write_movie as write_movie
    from fourreal.view.page import write_page as write_page
    from fourreal.view.server import serve as serve

install_lazy_names(
    __name__,
    {
        "contact_sheet": "fourreal.view.contact_sheet",
        "plan_movie": "fourreal.view.movie",
        "serve": "fourreal.view.server",
        "write_contact_sheet": "fourreal.view.contact_sheet",
        "write_grid_movie": "fourreal.view.movie",
        "write_movie": "fourreal.view.movie",
        "write_page": "fourreal.view.page",
    },
)
