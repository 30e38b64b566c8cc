import ArgumentParser
import AsyncHTTPClient
import Configuration
import Hummingbird
import ServiceLifecycle
@main struct Chaind: ParsableCommand { }
