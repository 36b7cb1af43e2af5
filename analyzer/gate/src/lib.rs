//! Gates, error control over all gates and looks, verdict, reasons, forecast.
