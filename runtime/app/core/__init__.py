"""The live app without a network: cameras, the teaching session and the service that the web server calls."""
