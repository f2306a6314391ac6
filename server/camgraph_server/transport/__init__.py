"""The wire: services, interceptor, messages; bytes in, one call of the service, bytes out."""
