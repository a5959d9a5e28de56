//! One comparison, many renderers. They decide nothing.
