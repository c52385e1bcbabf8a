// Sends the same shopping through the public Node SDKs of Segment and RudderStack.
// Usage: node send.mjs segment|rudderstack HOST WRITE_KEY PREFIX

import { createRequire } from 'node:module'
import path from 'node:path'

const [sdk, host, writeKey, prefix] = process.argv.slice(2)
const require = createRequire(path.join(process.cwd(), 'package.json'))

const product = { product_id: 'p1', price: 19.99, currency: 'EUR', category: 'shoes' }
const order = {
  order_id: `${prefix}-order`,
  total: 39.98,
  currency: 'EUR',
  products: [{ product_id: 'p1', price: 19.99, quantity: 2 }],
}

function shop(client) {
  client.page({ anonymousId: 'a1', name: 'Home', properties: { path: '/' } })
  client.track({ anonymousId: 'a1', event: 'Product Viewed', properties: product })
  client.identify({ userId: 'u1', anonymousId: 'a1', traits: { country: 'DE' } })
  client.track({ userId: 'u1', anonymousId: 'a1', event: 'Order Completed', properties: order })
  client.alias({ previousId: 'a1', userId: 'u1' })
}

if (sdk === 'segment') {
  const { Analytics } = require('@segment/analytics-node')
  const client = new Analytics({ writeKey, host, flushAt: 3 })
  client.on('error', (error) => {
    console.error(error)
    process.exitCode = 1
  })
  shop(client)
  await client.closeAndFlush({ timeout: 20000 })
} else {
  const Analytics = require('@rudderstack/rudder-sdk-node')
  const client = new Analytics(writeKey, { dataPlaneUrl: host, flushAt: 3, flushInterval: 200 })
  shop(client)
  await new Promise((resolve, reject) =>
    client.flush((error) => (error ? reject(error) : resolve())),
  )
}
