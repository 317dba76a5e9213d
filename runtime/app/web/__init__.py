"""The live app on the network: HTTP server, REST API, WebSocket, access control and the page."""
