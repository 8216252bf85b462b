"""The errors of the stand-in, with the codes that Databricks uses."""


class ApiError(Exception):
    """An answer with an HTTP error status, as {"error_code": ..., "message": ...}."""

    def __init__(self, status: int, error_code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error_code, self.message = status, error_code, message


class SqlError(Exception):
    """A statement that fails: its message carries the error class, e.g. [TABLE_OR_VIEW_NOT_FOUND] …"""

    def __init__(self, error_class: str, message: str, error_code: str = "BAD_REQUEST") -> None:
        super().__init__(f"[{error_class}] {message}")
        self.error_code = error_code


def invalid(message: str) -> ApiError:
    return ApiError(400, "INVALID_PARAMETER_VALUE", message)
