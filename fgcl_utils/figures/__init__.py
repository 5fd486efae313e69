"""The figures of the study: arrays and tables in, one finished figure out.

Photos, matrices and print-like pictures are matplotlib and seaborn; what a reader wants to zoom
or read off is Plotly. Lettering stays above 10 px at the book's width of 800 px. Matplotlib
figures come closed, so a notebook shows them once, as the value of the cell.

================  ============================================================================
`style`           the look that all share, the methods' labels, and how Plotly reaches the book
`names`           levels and classes as text, at a length that leaves the figure room
`fonts`           letters that matplotlib's font lacks
`photos`          photos in rows
`data`            the data set and its batches
`epochs`          what happens while a method learns
`measures`        what the measures are called, and their values in words
`tables`          the methods side by side, in numbers
`rates`           the same as dots: every seed, every reading
`errors`          what is taken for what, and how surely
`tradeoff`        outliers against species accuracy
`gains`           when soft positives help, dial by dial
`maps`            the test images in the plane
`interactive`     the same, with the image under the pointer
================  ============================================================================
"""

from fgcl_utils.figures.data import batch_anatomy, long_tail, species_per_genus
from fgcl_utils.figures.epochs import learning_over_epochs, recorded_learning, training_curves
from fgcl_utils.figures.errors import confusion_heatmap, mistakes, reliability
from fgcl_utils.figures.gains import gain_curves, gain_map
from fgcl_utils.figures.interactive import ImageMaps, interactive_maps, webp_thumbnails
from fgcl_utils.figures.maps import static_maps
from fgcl_utils.figures.measures import mean_texts
from fgcl_utils.figures.names import percent
from fgcl_utils.figures.photos import (
    confusable_species,
    genus_strip,
    image_grid,
    mended_outlier,
    sample_grid,
    synthetic_samples,
    view_pairs,
)
from fgcl_utils.figures.rates import outlier_readings, recorded_seeds, seeds
from fgcl_utils.figures.selective import risk_coverage
from fgcl_utils.figures.style import (
    METHOD_NAMES,
    OKABE_ITO,
    BookRenderer,
    genus_styles,
    to_html,
    to_img,
    use_book_renderer,
)
from fgcl_utils.figures.tables import (
    PAPER_OUTLIERS,
    PAPER_TEST_PHOTOS,
    comparison_table,
    measures_table,
    p_text,
    recorded_measures,
    results_table,
)
from fgcl_utils.figures.tradeoff import pareto

__all__ = [
    "METHOD_NAMES",
    "OKABE_ITO",
    "PAPER_OUTLIERS",
    "PAPER_TEST_PHOTOS",
    "BookRenderer",
    "ImageMaps",
    "batch_anatomy",
    "comparison_table",
    "confusable_species",
    "confusion_heatmap",
    "gain_curves",
    "gain_map",
    "genus_strip",
    "genus_styles",
    "image_grid",
    "interactive_maps",
    "learning_over_epochs",
    "long_tail",
    "mean_texts",
    "measures_table",
    "mended_outlier",
    "mistakes",
    "outlier_readings",
    "p_text",
    "pareto",
    "percent",
    "recorded_learning",
    "recorded_measures",
    "recorded_seeds",
    "reliability",
    "results_table",
    "risk_coverage",
    "sample_grid",
    "seeds",
    "species_per_genus",
    "static_maps",
    "synthetic_samples",
    "to_html",
    "to_img",
    "training_curves",
    "use_book_renderer",
    "view_pairs",
    "webp_thumbnails",
]
